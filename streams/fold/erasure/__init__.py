"""Users who are to be forgotten: what is theirs in a partition, and the mark that keeps the rest out.

An event `user.forgotten` marks its partition, and tells the others to. From then on nothing of the user
comes in that was published before. What is there is swept away behind that, some images in a transaction.
Start with `marks.py`.
"""
