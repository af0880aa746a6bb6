/* Where the side file of weights may lie when the host does not say it. */
#ifndef BTC_BESIDE_H
#define BTC_BESIDE_H

#include <stdbool.h>

#include "artifact.h"

/* Calls `found` for one path after the other until it returns true (then this does, too): beside the
 * library or program as it was named, beside each file that a symbolic link on the way leads to, and beside
 * the file that is mapped; there <its name>.weights, then the name that the side file was written under. */
bool btc_beside(const btc_artifact *a, bool (*found)(void *user, const char *path), void *user);

#endif
