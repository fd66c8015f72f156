"""imbalanced-learn for images: balance, train and honestly judge image classifiers.

The rooms, from the ground up:

- :mod:`imbemotion.augmentation`: ``Augmentation``, a policy for whole batches of images;
- :mod:`imbemotion.networks`, :mod:`imbemotion.losses`, :mod:`imbemotion.callbacks`: parts of a
  training, for PyTorch and skorch code as well;
- :mod:`imbemotion.images`: ``ImageArray``, images as recipes;
- :mod:`imbemotion.loading`, :mod:`imbemotion.midi`: files of any kind into an ``ImageArray``;
- :mod:`imbemotion.leaks`, :mod:`imbemotion.splitting`: what belongs together, and splits;
- :mod:`imbemotion.samplers`: how many images of each class, and where new ones come from;
- :mod:`imbemotion.classifier`, :mod:`imbemotion.postprocessing`: the scikit-learn classifier,
  and what improves its decisions after training;
- :mod:`imbemotion.analysis`, :mod:`imbemotion.plots`: class sizes, confidence, scores and plots;
- :mod:`imbemotion.datasets`: folders, lists, archives and drawn faces;
- :mod:`imbemotion.comparison`, :mod:`imbemotion.report`: strategies on paired folds, one page;
- :mod:`imbemotion.workflow`, :mod:`imbemotion.compat`: YAML settings, and lists of dicts.

Names are imported when they are first used, so that ``import imbemotion`` is light and PyTorch
is loaded only where it is needed.
"""

import lazy_loader

__version__ = "0.1.0.dev0"

# __init__.pyi is the only list of the names, for this module and for type checkers.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
