"""How each known network's weights look: a few telling keys, so that a file is recognised without building it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Signature:
    """What every file of one architecture has, and a file of another one has not."""

    marks: Mapping[str, Shape | None]
    """Key → shape, or None where the project may still change the shape."""

    keys: int = 0
    """Keys that a complete file has at least; 0 where it may still change."""

    absent: tuple[str, ...] = ()
    """Keys that a bigger brother has."""


SIGNATURES: Mapping[str, Signature] = {
    "lite": Signature({"encoder.quarter.weight": None, "residual.weight": None, "leave.first.weight": None}),
    "ifirnn": Signature(
        {
            "rnncell0.F_B.0.weight": (20, 3, 5, 5),
            "rnncell1.F_B.2.weight": (60, 40, 5, 5),
            "rnncell1.F_h.2.weight": (20, 20, 3, 3),
        },
        keys=82,
    ),
    "estrnn": Signature(
        {
            "cell.F_B0.weight": (16, 3, 5, 5),
            "cell.F_R.RDBs.8.dense_layers.1.conv.weight": (32, 112, 3, 3),
            "fusion.fusion.weight": (400, 400, 1, 1),
        },
        keys=176,
    ),
    # The super-resolution configurations have 7 blocks a branch and take features at full size.
    "basicvsrpp": Signature(
        {
            "feat_extract.0.weight": (64, 3, 3, 3),
            "backbone.backward_1.main.2.14.conv1.weight": (64, 64, 3, 3),
            "spynet.basic_module.5.basic_module.4.conv.weight": (2, 16, 7, 7),
            "conv_last.weight": (3, 64, 3, 3),
        },
        keys=406,
    ),
    "rvrt": Signature(
        {
            "spynet.basic_module.0.basic_module.0.weight": (32, 8, 7, 7),
            "backbone.backward_2.main.5.0.residual_group.blocks.0.norm1.weight": (192,),
            "conv_last.weight": (3, 64, 1, 3, 3),
        },
        keys=508,
    ),
    # The published files may leave out 20 keys that are second names of others (bn3 is downsample.1).
    "sea_raft_m": Signature(
        {
            "cnet.conv1.weight": (64, 6, 7, 7),
            "cnet.layer1.2.conv1.weight": (64, 64, 3, 3),
            "update_block.refine.1.final.weight": (128, 384, 1, 1),
        },
        keys=452,
    ),
    "sea_raft_s": Signature(
        {
            "cnet.conv1.weight": (64, 6, 7, 7),
            "cnet.layer1.1.conv1.weight": (64, 64, 3, 3),
            "update_block.refine.1.final.weight": (128, 384, 1, 1),
        },
        keys=256,
        absent=("cnet.layer1.2.conv1.weight",),
    ),
    "raft_large": Signature(
        {
            "feature_encoder.convnormrelu.0.weight": (64, 3, 7, 7),
            "context_encoder.layer2.0.downsample.1.running_mean": (96,),
            "mask_predictor.conv.weight": (576, 256, 1, 1),
        },
        keys=169,
    ),
    "flowformerpp": Signature(
        {
            "memory_encoder.feat_encoder.svt.patch_embeds.0.proj.weight": (128, 3, 4, 4),
            "context_encoder.svt.norm.weight": (1024,),
        },
        keys=415,
    ),
    "vgg19": Signature(
        {
            "features.0.weight": (64, 3, 3, 3),
            "features.34.weight": (512, 512, 3, 3),
            "pre_logits.fc1.weight": (4096, 512, 7, 7),
        },
        keys=38,
    ),
    "alexnet": Signature({"features.0.weight": (64, 3, 11, 11), "classifier.6.weight": (1000, 4096)}, keys=16),
    "lpips_alex": Signature({"lin0.model.1.weight": (1, 64, 1, 1), "lin4.model.1.weight": (1, 256, 1, 1)}),
    "musiq": Signature(
        {
            "conv_root.weight": (64, 3, 7, 7),
            "transformer_encoder.transformer.encoderblock_13.norm2.weight": (384,),
            "head.weight": None,
        },
        keys=248,
    ),
    "maniqa": Signature(
        {
            "vit.patch_embed.proj.weight": (768, 3, 8, 8),
            "fc_score.0.weight": (384, 384),
            "fc_weight.0.weight": (384, 384),
        },
        keys=316,
    ),
    "clip_rn50": Signature(
        {
            "visual.layer4.2.conv3.weight": (2048, 512, 1, 1),
            "visual.attnpool.positional_embedding": (50, 2048),
            "text_projection": (512, 1024),
        },
        keys=434,
    ),
}
"""Architecture → its look; the names are those of the manifest."""

PREFIXES: tuple[str, ...] = (
    "",
    "module.",
    "module.model.",
    "generator_ema.",
    "generator.",
    "module.generator.",
    "net_g.",
    "model.",
)
"""What training code puts before every key: DataParallel, mmediting's restorers, BasicSR, wrappers; earlier wins."""

NESTS: tuple[str, ...] = ("params_ema", "params", "state_dict", "model_state_dict", "model", "net")
"""Keys of a checkpoint under which the weights lie; earlier wins (averaged weights before raw ones)."""

UNRELATED: tuple[str, ...] = ("step_counter",)
"""Keys that training code stores beside the weights and that no network reads."""


def identify(shapes: Mapping[str, Shape]) -> str:
    """The architecture whose marks at least half match; empty if none. The number of keys decides ties."""
    best: tuple[float, int, str] = (0.0, 0, "")
    for name, signature in SIGNATURES.items():
        if any(key in shapes for key in signature.absent):
            continue
        hits = sum(key in shapes and shape in (None, shapes[key]) for key, shape in signature.marks.items())
        score = (hits / len(signature.marks), -abs(len(shapes) - (signature.keys or len(shapes))), name)
        if score[0] >= 0.5 and score[:2] > best[:2]:
            best = score
    return best[2]


def strip(shapes: Mapping[str, Shape]) -> tuple[str, str]:
    """The prefix under which a known network lies, and its architecture; both empty if there is none."""
    found = []
    for prefix in PREFIXES:
        bare = {key.removeprefix(prefix): shape for key, shape in shapes.items() if key.startswith(prefix)}
        if (name := identify(bare)) and all(key in bare for key in SIGNATURES[name].marks):
            return prefix, name
        if name:
            found.append((prefix, name))
    related = [key for key in shapes if key not in UNRELATED]
    if not found and related and all(key.startswith("module.") for key in related):
        return "module.", ""  # DataParallel around a network unknown here
    return found[0] if found else ("", "")
