"""Parquet shards in, a trained model out: one loop, the stages are data.

job.py is what a cluster is asked to run; readiness.py says first what is certain to fail; launch.py starts
workers, each of which runs the loop. stages.py is what the paper trains when, schedule.py
how rates fall, run.py a run's folder.

    data/         rows as samples, media as frames       loop/         run, stages, phases: what a worker does
    encoding/     what frozen parts say of samples       parallel/     workers, ZeRO, gradients compared
    batches/      which samples are in which step        speed/        recompute, compiled blocks, attention
    model/        what trains and what stays frozen      checkpoints/  what is saved, whole or not at all
    backbones/    small ones trained here                monitoring/   losses, figures, curves, clips
                                                         summary/      a run as one page
"""
