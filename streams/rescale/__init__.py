"""Moving the state to more partitions while no worker runs: exact, and resumed where it was cut short.

Whose partition an image belongs to follows from its public id and the number of partitions. Each image that
belongs to another partition now goes there, with its part in the counts, in one transaction of the ledger of
the partition that it leaves. So at any moment each image is in one partition and counted there, and what is
left to do is told by the rows alone. Start with `job.py`.
"""
