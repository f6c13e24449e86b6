"""Backbones and heads: no support, no query."""

from medshot.nn.conv4 import Conv4 as Conv4
from medshot.nn.encoder import Encoder as Encoder
from medshot.nn.encoder import encoder as encoder
from medshot.nn.filters import Filters as Filters
from medshot.nn.filters3d import Filters3d as Filters3d
from medshot.nn.pixels import Pixels as Pixels
from medshot.nn.unet import UNet as UNet
from medshot.nn.unet import UNet3d as UNet3d
