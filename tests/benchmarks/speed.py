"""Speed and memory, a part at a time: `python tests/benchmarks/speed.py PART [OPTION ...]`; every part has --help.

networks  how much faster the networks run than written plainly
outside   the share of the whole command that is not the network's, with a profile
memory    peak memory against length, resolution and window of a clip, and with 8 GB at 4K
start     how soon `--help` answers, and how soon the first frame of a clip is done
adapt     steps a second of adapt beside a plain arrangement of the same, and where the time of a step goes
commands  what a frame asks of an accelerator: commands, and times it is waited for; counted, not timed
least     what a frame takes whatever its size, which bounds the frames a second beside a fast device
host      what the processor does for each frame beside an accelerator, which bounds its frames a second
crew      what the first of several processes does for each frame that the others restore
cuda      of a GPU: idle share, frames a second, what bounds them; says so where there is none

`outside`, `memory`, `start`, `adapt` and `cuda` run commands themselves, each time in a process of its own. Clips are
made from examples/handheld.mp4.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

PARTS = {
    "networks": "plain_networks",
    "outside": "outside_network",
    "memory": "command_memory",
    "start": "command_start",
    "adapt": "adapt_steps",
    "commands": "device_commands",
    "least": "least_time",
    "host": "host_work",
    "crew": "crew_work",
    "cuda": "command_cuda",
}
"""Part → its module beside this one, imported when asked for: no measured process shall descend from a large one."""


def main() -> None:
    words = sys.argv[1:]
    if not words or words[0] not in PARTS:
        raise SystemExit(__doc__)
    sys.path.insert(0, str(Path(__file__).parent))
    import_module(PARTS[words[0]]).main(words[1:])


if __name__ == "__main__":
    main()
