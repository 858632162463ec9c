"""From a catalogue to maps: plan, run, manifest, results."""
