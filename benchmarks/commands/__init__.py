"""One module a command. They import torch and pandas where they use them: help answers at once."""
