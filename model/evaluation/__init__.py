"""How good a tagger is, measured on labelled photos.

*True* tags of a photo are those that its rows name, and the more general ones that these imply: a row that
says koala makes marsupial, mammal and animal true as well. *Judged* are the tags that some row names or
implies, but not those that are finer than what is known of a photo: where the rows say dog, no breed is right
or wrong. *Predicted* are tags whose confidence is above the threshold.

precision: the share of judged predictions that are true; recall: the share of true tags that are predicted.
map: mean average precision; for each tag with a true photo the area under precision over recall, photos
ranked by confidence, and the mean over these tags. ece: expected calibration error over all judged tags that
are reported at all; see `reliability.py`.
"""
