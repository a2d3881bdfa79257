"""Writes `golden_small/`, the project's own golden numbers: `python tests/nets/make_golden_small.py [NAME ...]`.

Run it only for networks that agree with the official numbers (`python tests/parity.py FOLDER`): these files hold a
network to what it computed then, on pictures small enough for every test run.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from parity import NETWORKS, Network, cases_of, fill_by_rule

FOLDER = Path(__file__).parent / "golden_small"

SUFFIX = "/small"
"""Other weights than those of the official comparison."""

LARGEST = 3000
"""Outputs of more values are kept as every fifth pixel and two corners."""


def pictures(*shape: int, seed: int = 1, first: int = 0, scale: int = 1) -> np.ndarray:
    return np.array([seed, first, scale, *shape], dtype=np.int64)


CASES: Mapping[str, Mapping[str, np.ndarray]] = {
    "estrnn": {"a.make.frames": pictures(2, 6, 3, 20, 28)},
    "ifirnn": {"a.make.frames": pictures(2, 3, 3, 20, 28)},
    "basicvsrpp_deblur": {"a.make.frames": pictures(1, 4, 3, 64, 76)},
    "rvrt_deblur": {"a.make.frames": pictures(1, 4, 3, 68, 72)},
    "flowformerpp": {
        "a.make.image1": pictures(1, 3, 72, 80, scale=255),
        "a.make.image2": pictures(1, 3, 72, 80, first=1, scale=255),
    },
    "sea_raft_spring_m": {
        "a.make.image1": pictures(1, 3, 128, 136, scale=255),
        "a.make.image2": pictures(1, 3, 128, 136, first=1, scale=255),
    },
    "sea_raft_spring_s": {
        "a.make.image1": pictures(1, 3, 119, 130, scale=255),
        "a.make.image2": pictures(1, 3, 119, 130, first=1, scale=255),
    },
}
"""The inputs of every network: `<case>.make.<what>`."""


def write(name: str, row: Network) -> None:
    """Write `<name>.keys.json` and `<name>.npz` from what the network computes now."""
    module = row.build()
    state = module.state_dict()
    shared: dict[int, list[str]] = {}
    for key, tensor in state.items():
        shared.setdefault(tensor.data_ptr(), []).append(key)
    aliases = [keys for keys in shared.values() if len(keys) > 1]
    constants = [key for key, _ in module.named_buffers(remove_duplicate=False) if is_constant(key, state[key])]
    fill_by_rule(module, SUFFIX, row.gain, constants, aliases)
    facts = {
        "keys": {key: [list(tensor.shape), str(tensor.dtype)[6:]] for key, tensor in state.items()},
        "constant_keys": constants,
        "alias_groups": aliases,
        "constant_crc32": {key: zlib.crc32(state[key].contiguous().numpy().tobytes()) for key in constants},
    }
    text = json.dumps(facts, separators=(",", ":")).replace('"],"', '"],\n"')
    (FOLDER / f"{name}.keys.json").write_text(text + "\n", encoding="utf-8")
    arrays = dict(CASES[name])
    for case, (inputs, _) in cases_of(arrays).items():
        with torch.no_grad():
            outputs = row.run(module, case, inputs)
        for what, output in outputs.items():
            arrays |= stored(f"{case}.out.{what}", output.numpy())
    np.savez_compressed(FOLDER / f"{name}.npz", **arrays)


def is_constant(key: str, tensor: torch.Tensor) -> bool:
    """Buffers are constants of the architecture, except the statistics that batch normalisation learns."""
    return tensor.numel() > 0 and not key.endswith(("running_mean", "running_var"))


def stored(name: str, output: np.ndarray) -> dict[str, np.ndarray]:
    if output.size <= LARGEST:
        return {name: output}
    return {
        f"{name}__s5": output[..., ::5, ::5],
        f"{name}__tl12": output[..., :12, :12],
        f"{name}__br12": output[..., -12:, -12:],
        f"{name}__shape": np.array(output.shape),
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "suffix.txt").write_text(SUFFIX, encoding="utf-8")
    for chosen in sys.argv[1:] or CASES:
        write(chosen, NETWORKS[chosen])
