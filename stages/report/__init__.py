"""REPORT.md and its Spanish edition: templates, and the tables and sentences that fill them, chosen by the metric files.

The modules that say something choose a sentence by the facts and fill in the numbers; words/ has it in each language.
"""
