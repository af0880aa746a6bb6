/* How differently two words are spelt: for programs, and for the compiler's messages. */
#ifndef BTC_DISTANCE_H
#define BTC_DISTANCE_H

/* Edits that make b of a: a letter more, less, other, or two neighbours swapped; case does not count. Words longer than
 * 127 letters: 0 or 1000. */
int word_distance(const char *a, const char *b);

#endif
