"""The drill: the whole service against a simulated org, through a script of faults, judged by an oracle of its own.

`script` says which faults come, `faults` and `outage` make them, `stage` holds all that runs, `run` goes through the
script, and `verdict` compares the target with the org. `process` is what web and worker are started as: they are the
product's own, with a clock that can be put wrong.
"""
