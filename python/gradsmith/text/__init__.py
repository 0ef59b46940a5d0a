# SPDX-License-Identifier: Apache-2.0
"""Text: cleaning, tokens, vocabularies, counts, sub-words, word vectors and
writing with language models."""

from gradsmith.text.bpe import BPETokenizer as BPETokenizer
from gradsmith.text.cleaning import clean as clean
from gradsmith.text.counts import CountVectorizer as CountVectorizer
from gradsmith.text.counts import TfidfVectorizer as TfidfVectorizer
from gradsmith.text.embeddings import WordVectors as WordVectors
from gradsmith.text.embeddings import load_embeddings as load_embeddings
from gradsmith.text.generation import beam_search as beam_search
from gradsmith.text.generation import generate as generate
from gradsmith.text.generation import keep_top_k as keep_top_k
from gradsmith.text.generation import keep_top_p as keep_top_p
from gradsmith.text.generation import sample_token as sample_token
from gradsmith.text.sequences import cooccurrence as cooccurrence
from gradsmith.text.sequences import one_hot as one_hot
from gradsmith.text.sequences import pad_sequences as pad_sequences
from gradsmith.text.tokens import char_tokenize as char_tokenize
from gradsmith.text.tokens import ngrams as ngrams
from gradsmith.text.tokens import sentence_tokenize as sentence_tokenize
from gradsmith.text.tokens import word_tokenize as word_tokenize
from gradsmith.text.vocabulary import Vocabulary as Vocabulary
