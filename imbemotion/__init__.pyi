# The names at the top level, imported when they are first used; type checkers read this file, too.
from ._base.validation import DataWarning as DataWarning
from .analysis import (
    advise as advise,
    analyze_confidence as analyze_confidence,
    analyze_distribution as analyze_distribution,
    make_macro_f1_scorer as make_macro_f1_scorer,
    preview_targets as preview_targets,
)
from .augmentation import Augmentation as Augmentation
from .classifier import CNNClassifier as CNNClassifier
from .comparison import compare_strategies as compare_strategies
from .compat import (
    DataConfig as DataConfig,
    balance_samples as balance_samples,
    load_split as load_split,
    split_samples as split_samples,
)
from .datasets import (
    fetch_facial_expressions as fetch_facial_expressions,
    load_image_folder as load_image_folder,
    load_source as load_source,
    make_faces as make_faces,
)
from .images import ImageArray as ImageArray
from .leaks import (
    duplicate_groups as duplicate_groups,
    find_groups as find_groups,
    groups_from_filenames as groups_from_filenames,
    leak_report as leak_report,
)
from .loading import ImageFlattener as ImageFlattener, ImageLoader as ImageLoader
from .midi import PianoRoll as PianoRoll
from .plots import (
    ClassDistributionDisplay as ClassDistributionDisplay,
    ComparisonDisplay as ComparisonDisplay,
    ConfidenceDisplay as ConfidenceDisplay,
    ImageGridDisplay as ImageGridDisplay,
    TrainingCurveDisplay as TrainingCurveDisplay,
)
from .postprocessing import (
    DecoupledClassifier as DecoupledClassifier,
    PriorCorrectedClassifier as PriorCorrectedClassifier,
    TunedOffsetClassifierCV as TunedOffsetClassifierCV,
)
from .report import write_report as write_report
from .samplers import (
    AugmentationSampler as AugmentationSampler,
    FlattenSampler as FlattenSampler,
    ImageADASYN as ImageADASYN,
    ImageSMOTE as ImageSMOTE,
    RandomResampler as RandomResampler,
)
from .splitting import stratified_split as stratified_split
from .training import ImageNeuralNetClassifier as ImageNeuralNetClassifier

__version__: str
