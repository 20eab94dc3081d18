"""Makes towers of `timm` usable in LLaVA-type models: transformers loads them, but their features have another shape."""

from typing import Any

from torch import Tensor
from transformers import TimmWrapperModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

from namm_xmodal.errors import UnsupportedModelError
from namm_xmodal.extras import need

need("timm", "the vision tower")  # transformers imports it only when the tower is built

MODEL_TYPE = "timm_wrapper"


class GridTower(TimmWrapperModel):  # type: ignore[misc]
    """transformers' wrapper of a `timm` model, giving patch features (B, P * P, C) as its only hidden state.

    The plain wrapper gives maps (B, C, P, P) of every stage, which no LLaVA reads. Rows come before columns; class and
    register tokens of transformers are left out, so the feature layer is -1 and the strategy `full`.
    """

    def forward(self, pixel_values: Tensor, **kwargs: Any) -> BaseModelOutputWithPooling:
        """Runs the tower.

        Args:
            pixel_values: (B, 3, height, width).
            kwargs: What LLaVA passes on; features do not depend on it.
        """
        features = self.timm_model.forward_features(pixel_values.to(self.device, self.dtype))
        if features.dim() == 3:  # tokens (B, N, C), of a transformer
            features = features[:, getattr(self.timm_model, "num_prefix_tokens", 0) :]
        elif features.shape[1] == self.timm_model.num_features:  # maps (B, C, P, P)
            features = features.flatten(2).transpose(1, 2)
        else:  # maps (B, P, P, C)
            features = features.flatten(1, 2)
        return BaseModelOutputWithPooling(last_hidden_state=features, hidden_states=(features,))


def adapt_timm_tower(model: Any, name: str) -> None:
    """Gives a loaded LLaVA's `timm` tower the features that LLaVA reads; weights and their names stay.

    Args:
        model: A LLaVA-type model; left alone if its tower is another.
        name: Of the model, for messages.

    Raises:
        UnsupportedModelError: If the configuration asks for features that such a tower does not have.
    """
    config = model.config
    if config.vision_config.model_type != MODEL_TYPE:
        return
    if config.vision_feature_layer != -1 or config.vision_feature_select_strategy != "full":
        raise UnsupportedModelError(
            f"model {name!r}: a timm tower has one layer of features and no class token; expected vision_feature_layer -1 "
            f"and strategy 'full', found {config.vision_feature_layer} and {config.vision_feature_select_strategy!r}"
        )
    model.model.vision_tower.__class__ = GridTower  # from_pretrained knows transformers' own class only
