"""Binary and Matryoshka embeddings, FAISS search, similarity and analogy evaluation."""
