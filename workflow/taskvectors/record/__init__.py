"""How an output came about: records, the loaded model, the hash of the code."""
