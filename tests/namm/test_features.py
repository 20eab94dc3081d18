"""The streaming spectrogram equals the batch definition, whatever the tiles."""

import math

import pytest
import torch
from observations import observation

from namm_xmodal.errors import ConfigError
from namm_xmodal.policies.namm.age import age_embedding
from namm_xmodal.policies.namm.channels import Spectrogram
from namm_xmodal.policies.protocol import Tile
from namm_xmodal.policies.state import State


def batch_definition(rows: torch.Tensor, ema: float) -> torch.Tensor:
    """torch.stft over the whole signal, then the published weighted sum: (B, H, Q, S) -> (B, H, 17, S)."""
    signal = torch.nn.functional.pad(rows.double().movedim(2, -1), (16, 0))  # (B, H, S, 16 + Q)
    flat = signal.flatten(0, 2)
    spectrum = torch.stft(
        flat, 32, 16, window=torch.hann_window(32, dtype=torch.float64), center=False, return_complex=True
    ).abs()  # (B * H * S, 17, T)
    decay, frames = ema**16, spectrum.shape[-1]
    weights = (1 - decay) * decay ** torch.arange(frames - 1, -1, -1, dtype=torch.float64)
    return (spectrum @ weights).view(*signal.shape[:3], 17).movedim(-1, 2).float()


def causal_rows(queries: int, seed: int = 0) -> torch.Tensor:
    logits = torch.randn(2, 3, queries, queries, generator=torch.Generator().manual_seed(seed)) * 2
    return logits.masked_fill(torch.ones(queries, queries).triu(1).bool(), -math.inf).softmax(-1)


@pytest.mark.parametrize("ema", [0.9, 0.99, 0.9999])
@pytest.mark.parametrize("tile", [1, 7, 16, 33, 64, 1000])
def test_streaming_equals_batch(tile, ema):
    rows = causal_rows(160)
    features = Spectrogram(ema_coefficient=ema)
    state = State(2, 3, 0, torch.device("cpu"))
    features.start(state)
    for start in range(0, 160, tile):
        stop = min(160, start + tile)
        state.grow(stop - start, spare=3)
        # A tile may leave out the slots that none of its queries can see.
        features.observe(state, Tile(start, rows[:, :, start:stop, :stop], None))
    assert (features.read(observation(state)) - batch_definition(rows, ema)).abs().max() < 1e-6


def test_evicting_between_hops_leaves_the_survivors_alone():
    rows, keep = causal_rows(96), torch.arange(0, 40, 3)
    features = Spectrogram()
    state = State(2, 3, 40, torch.device("cpu"))
    features.start(state)
    features.observe(state, Tile(0, rows[:, :, :40, :40], None))  # 40 = 2 hops and a half
    state.gather(keep.expand(2, 3, -1))
    state.grow(56)
    features.observe(state, Tile(40, torch.cat([rows[:, :, 40:, keep], rows[:, :, 40:, 40:]], -1), None))
    expected = batch_definition(rows, 0.99)
    assert (features.read(observation(state))[..., : len(keep)] - expected[..., keep]).abs().max() < 1e-6


def test_age_embedding():
    positions = torch.tensor([[[0, 5, 99]]])
    embedding = age_embedding(positions, 100)
    for slot, age in enumerate((99, 94, 0)):
        for i in range(4):
            phase = age / 50_000 ** (i / 4)
            assert embedding[0, 0, i, slot] == pytest.approx(math.sin(phase), abs=1e-6)
            assert embedding[0, 0, 4 + i, slot] == pytest.approx(math.cos(phase), abs=1e-6)
    far = age_embedding(torch.zeros(1, 1, 1, dtype=torch.long), 200_000)
    assert far[0, 0, 3, 0] == pytest.approx(math.sin(199_999 / 50_000**0.75), abs=1e-6)


@pytest.mark.parametrize("wrong", [{"n_fft": 30}, {"hop": 0}, {"ema_coefficient": 1.0}, {"ema_coefficient": 0.0}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ConfigError, match="expected"):
        Spectrogram(**wrong)
