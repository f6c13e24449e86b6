"""Encoders and heads; independent of support and query."""

from medshot.nn.encoder import Encoder as Encoder
from medshot.nn.encoder import encoder as encoder
from medshot.nn.encoders.conv4 import Conv4 as Conv4
from medshot.nn.encoders.filters import Filters as Filters
from medshot.nn.encoders.filters import Filters3d as Filters3d
from medshot.nn.encoders.identity import Pixels as Pixels
from medshot.nn.encoders.unet import UNet as UNet
from medshot.nn.encoders.unet import UNet3d as UNet3d
