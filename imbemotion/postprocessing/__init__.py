"""Corrections after training: offsets of the log-probabilities, or a new head."""

from imbemotion.postprocessing._decoupled import DecoupledClassifier
from imbemotion.postprocessing._prior_corrected import PriorCorrectedClassifier
from imbemotion.postprocessing._tuned import TunedOffsetClassifierCV

__all__ = ["DecoupledClassifier", "PriorCorrectedClassifier", "TunedOffsetClassifierCV"]
