"""How fast this project is beside what people would otherwise run; nothing here is part of the pipeline."""
