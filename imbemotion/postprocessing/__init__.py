"""What can be put right after training: offsets of the log-probabilities."""

from imbemotion.postprocessing._prior import PriorCorrectedClassifier
from imbemotion.postprocessing._tuned import TunedOffsetClassifierCV

__all__ = ["PriorCorrectedClassifier", "TunedOffsetClassifierCV"]
