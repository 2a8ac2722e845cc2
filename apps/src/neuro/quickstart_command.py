"""`neuro quickstart`: options; the work is in `quickstart`."""

from __future__ import annotations

from neuro.options import (
    Bits,
    ConfigFile,
    Device,
    DryRun,
    Json,
    Limit,
    Nproc,
    Quiet,
    Resume,
    RunFolder,
    Seed,
    Settings,
    Vectors,
    parse_bits,
)


def quickstart(
    vectors: Vectors = None,
    limit: Limit = None,
    bits: Bits = None,
    config: ConfigFile = None,
    settings: Settings = None,
    device: Device = None,
    seed: Seed = None,
    nproc: Nproc = 1,
    resume: Resume = "never",
    out: RunFolder = None,
    as_json: Json = False,
    quiet: Quiet = False,
    dry_run: DryRun = False,
) -> None:
    """Compress, search and judge real word embeddings in one go: training, one table, searches, report.html."""
    from neuro.config import resolve
    from neuro.embed_commands import show_plan
    from neuro.embed_settings import QuickstartSettings
    from neuro.launching import check_processes, relaunch_run
    from neuro.run_folder import resumed_config

    flags = {
        "vectors.source": vectors,
        "vectors.limit": limit,
        "bits": parse_bits(bits),
        "seed": seed,
        "device": device,
    }
    base = resumed_config(out, resume)
    resolved = resolve(QuickstartSettings, base=base, file=config, assignments=settings or (), flags=flags)
    check_processes(nproc, resolved.device)
    if dry_run:
        show_plan("quickstart", resolved, out=out, resume=resume, nproc=nproc, as_json=as_json)
        return
    relaunch_run("quickstart", resolved, out=out, resume=resume, nproc=nproc)
    from neuro import quickstart as work

    work.quickstart(resolved, out=out, resume=resume, as_json=as_json, quiet=quiet)
