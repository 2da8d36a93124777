"""The loop that runs sagas: it carries out what `model.advance` decides, durably, under a lease.

Read in this order: `engine` (the life of the process: join, renew, lose, leave), `tenure` (all that lives as long as
one lease), `driver` (one saga's events in their order), `calls` (commands to replies). Around them: `declarations`
(participants and definitions in memory), `start` (what is asked for becomes a saga), `signals`, `reporter`, `timers`.
"""
