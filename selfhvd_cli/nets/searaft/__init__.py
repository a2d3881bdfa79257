"""SEA-RAFT: Simple, Efficient, Accurate RAFT for Optical Flow (Wang, Lipson, Deng, ECCV 2024)."""

from selfhvd_cli.nets.searaft.network import MEDIUM, SMALL, Prediction, SeaRaft
from selfhvd_cli.nets.searaft.uncertainty import mean_log_scale

__all__ = ["MEDIUM", "SMALL", "Prediction", "SeaRaft", "mean_log_scale"]
