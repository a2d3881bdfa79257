"""FlowFormer++: Masked Cost Volume Autoencoding for Pretraining Optical Flow Estimation (Shi et al., CVPR 2023)."""

from selfhvd_cli.nets.flowformerpp.network import FlowFormerPP

__all__ = ["FlowFormerPP"]
