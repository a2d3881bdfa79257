"""RVRT: Recurrent Video Restoration Transformer with Guided Deformable Attention (Liang et al., NeurIPS 2022)."""

from selfhvd_cli.nets.rvrt.network import RVRT

__all__ = ["RVRT"]
