"""A finished student as a folder that plain libraries load, with a model card."""
