"""Small backbones trained here, for where the released ones cannot be had: they stand in for VILA, SigLIP2
and Wan2.1, are saved in the folders that those come in, and the paper's stages then run on them all the same.

They learn from the world of shapes, rendered as it is needed: as with the real ones, their data is not the
dataset of the stages.
"""
