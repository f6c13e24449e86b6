"""Pretrained encoders: self-supervised and supervised pretraining, and weights from elsewhere."""

from medshot.pretraining.objective import objectives as objectives
from medshot.pretraining.pretrain import pretrain as pretrain
from medshot.pretraining.store import is_encoder as is_encoder
from medshot.pretraining.store import load_encoder as load_encoder
from medshot.pretraining.store import save_encoder as save_encoder
