"""Every model by its name: its network, its objective, and the samplers that its paper has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from coder_model.model.config import ModelConfig
from coder_model.prompt.tokenizer import SpecialTokens
from coder_model.training.literature.ar import Autoregressive
from coder_model.training.literature.bd3 import BlockDiffusion
from coder_model.training.literature.d3pm import DiscreteDiffusion
from coder_model.training.literature.diffusion_lm import GaussianDiffusion
from coder_model.training.literature.eso import EsotericDiffusion
from coder_model.training.literature.interfaces import Objective
from coder_model.training.literature.joint import Joint
from coder_model.training.literature.llada import LargeMaskedDiffusion
from coder_model.training.literature.maskgit import CosineMasking
from coder_model.training.literature.mdlm import MaskedDiffusion
from coder_model.training.literature.names import BLOCK_LENGTH, DISTILLED
from coder_model.training.literature.network import ContinuousDenoiser, Denoiser
from coder_model.training.literature.samplers.ancestral import Ancestral
from coder_model.training.literature.samplers.blocks import ByBlocks
from coder_model.training.literature.samplers.canvas import CanvasSampler
from coder_model.training.literature.samplers.clamped import Clamped
from coder_model.training.literature.samplers.cosine import Cosine
from coder_model.training.literature.samplers.draft_and_check import DraftAndCheck
from coder_model.training.literature.samplers.gibbs import Gibbs
from coder_model.training.literature.samplers.guidance import Guided
from coder_model.training.literature.samplers.left_to_right import LeftToRight
from coder_model.training.literature.samplers.low_confidence import LowConfidence
from coder_model.training.literature.samplers.posterior import Posterior
from coder_model.training.literature.samplers.remdm import Remasking
from coder_model.training.literature.samplers.sedd_analytic import Analytic
from coder_model.training.literature.samplers.two_phases import TwoPhases
from coder_model.training.literature.sdtt import SelfDistillation
from coder_model.training.literature.sedd import ScoreEntropy

LONG_STEPS = 32
"""Passes for 128 slots; block diffusion takes as many in its 16 blocks."""
EMBEDDING_WIDTH = 64
"""Of Diffusion-LM, in the range that its paper tries."""


@dataclass(frozen=True)
class LiteratureModel:
    """One of the papers, ready to be trained and sampled."""

    name: str
    network: Denoiser | ContinuousDenoiser
    objective: Objective
    sampler: CanvasSampler
    """The paper's own."""
    steps: tuple[int, ...] = (1, 4, 16)
    """What the sampler is tried with; one value where steps say nothing."""
    keeps_keys: bool = False
    """Whether the sampler has a KV cache."""
    long_steps: int = 0
    """Steps in which 128 slots are filled to see what a cache saves; 0: not asked."""
    others: dict[str, CanvasSampler] = field(default_factory=dict)
    """Further samplers over the same weights, by what they are called."""
    teacher: Denoiser | None = None
    """What it begins as and learns from, where it is distilled."""


def make(name: str, config: ModelConfig, tokens: SpecialTokens) -> LiteratureModel:
    """Returns a model by its name in `NAMES`, with weights that are not drawn yet; a teacher's are to be loaded."""
    kind, _, alpha0 = name.partition("-")
    if kind in ("eso_a", "eso_b"):
        objective = EsotericDiffusion(tokens.mask, float(alpha0), "a" if kind == "eso_a" else "b")
        steps = (1,) if objective.alpha0 == 0 else (1, 4, 16)
        return LiteratureModel(name, Denoiser(config), objective, TwoPhases(objective), steps, True, LONG_STEPS)
    return _MAKERS[name](config, tokens)


def _ar(config: ModelConfig, tokens: SpecialTokens) -> LiteratureModel:
    objective = Autoregressive(tokens.pad)
    return LiteratureModel("ar", Denoiser(config), objective, LeftToRight(tokens.pad, tokens.mask), (1,), True, 1)


def _mdlm(config: ModelConfig, tokens: SpecialTokens) -> LiteratureModel:
    objective = MaskedDiffusion(tokens.mask)
    ancestral = Ancestral(objective)
    others: dict[str, CanvasSampler] = {
        "every step a pass": Ancestral(objective, keeps_predictions=False),
        "LLaDA, surest first": LowConfidence(objective),
        "LLaDA, two blocks": LowConfidence(objective, blocks=2),
        "MaskGIT, cosine": Cosine(objective),
        "ReMDM, at most 0.04": Remasking(objective),
        "four Gibbs passes after": Gibbs(objective, ancestral),
        "guidance, 0.5": Guided(ancestral, 0.5, tokens.mask),
    }
    return LiteratureModel("mdlm", Denoiser(config), objective, ancestral, long_steps=LONG_STEPS, others=others)


def _mdlm_sdtt(config: ModelConfig, tokens: SpecialTokens) -> LiteratureModel:
    masked, teacher = MaskedDiffusion(tokens.mask), Denoiser(config)
    objective = SelfDistillation(masked, teacher)
    return LiteratureModel(DISTILLED, Denoiser(config), objective, Ancestral(masked), teacher=teacher)


def _bd3(config: ModelConfig, tokens: SpecialTokens) -> LiteratureModel:
    objective = BlockDiffusion(tokens.mask, BLOCK_LENGTH)
    return LiteratureModel("bd3", Denoiser(config), objective, ByBlocks(objective), (1, 3, 8), True, 2)


def _llada(config: ModelConfig, tokens: SpecialTokens) -> LiteratureModel:
    objective = LargeMaskedDiffusion(tokens.mask)
    return LiteratureModel("llada", Denoiser(config), objective, LowConfidence(objective))


def _maskgit(config: ModelConfig, tokens: SpecialTokens) -> LiteratureModel:
    objective = CosineMasking(tokens.mask)
    return LiteratureModel("maskgit", Denoiser(config), objective, Cosine(objective))


def _sedd(config: ModelConfig, tokens: SpecialTokens) -> LiteratureModel:
    objective = ScoreEntropy(tokens.mask, config.vocab_size)
    return LiteratureModel("sedd", Denoiser(config, takes_time=True), objective, Analytic(objective))


def _d3pm_absorbing(config: ModelConfig, tokens: SpecialTokens) -> LiteratureModel:
    objective = DiscreteDiffusion("absorbing", tokens.mask, config.vocab_size)
    sampler = Posterior(objective, tokens.mask)
    return LiteratureModel("d3pm_absorbing", Denoiser(config, takes_time=True), objective, sampler)


def _d3pm_uniform(config: ModelConfig, tokens: SpecialTokens) -> LiteratureModel:
    objective = DiscreteDiffusion("uniform", tokens.mask, config.vocab_size)
    sampler = Posterior(objective, tokens.mask)
    return LiteratureModel("d3pm_uniform", Denoiser(config, takes_time=True), objective, sampler)


def _diffusion_lm(config: ModelConfig, tokens: SpecialTokens) -> LiteratureModel:
    network = ContinuousDenoiser(config, EMBEDDING_WIDTH)
    objective = GaussianDiffusion(network.table.weight)
    sampler = Clamped(objective, tokens.mask)
    others: dict[str, CanvasSampler] = {"without clamping": Clamped(objective, tokens.mask, clamps=False)}
    return LiteratureModel("diffusion_lm", network, objective, sampler, others=others)


def _joint(config: ModelConfig, tokens: SpecialTokens) -> LiteratureModel:
    return LiteratureModel(
        "joint", Denoiser(config), Joint(tokens.pad), DraftAndCheck(tokens.pad, tokens.mask), (2, 4, BLOCK_LENGTH)
    )


_MAKERS: dict[str, Callable[[ModelConfig, SpecialTokens], LiteratureModel]] = {
    "ar": _ar,
    "mdlm": _mdlm,
    "mdlm_sdtt": _mdlm_sdtt,
    "bd3": _bd3,
    "llada": _llada,
    "maskgit": _maskgit,
    "sedd": _sedd,
    "d3pm_absorbing": _d3pm_absorbing,
    "d3pm_uniform": _d3pm_uniform,
    "diffusion_lm": _diffusion_lm,
    "joint": _joint,
}
