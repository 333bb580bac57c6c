"""The check of the models: they are loaded, as a worker would."""

from model import ManifestError
from streams.app.assembly import build_tagger
from streams.app.checks.refusals import refused
from streams.app.settings import Settings, variable
from streams.kafka.checks.findings import Finding


def check_models(settings: Settings) -> Finding:
    """Whether each add-on's model can be loaded. Takes seconds."""
    value = f"{variable('add_ons')}={settings.add_ons!r}"
    if settings.tagger == "stub":
        rule, name = "it reads tags from the bytes, for load and chaos tests only", variable("tagger")
        return Finding("models", "warn", f"{name}=stub", rule, f"set {name}=onnx")
    try:
        _, models = build_tagger(settings)
    except ManifestError as error:
        cure = (
            f"name a folder that holds a model in {variable('add_ons')}; model/README.md says what is in one"
        )
        return refused("models", value, error, cure)
    loaded = ", ".join(dict.fromkeys(f"{model.name} {model.version}" for model in models.values()))
    return Finding("models", "ok", value, f"can be loaded: {loaded}")
