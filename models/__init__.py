"""GAN families. Importing this package registers every family; `models.registry` lists them."""

from models import dcgan as dcgan
from models import stylegan as stylegan
