"""What every stage stands on: errors, files, settings, a line's paths and the stage entry point."""
