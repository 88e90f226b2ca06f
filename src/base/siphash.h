/* SipHash-1-3: a keyed hash for tables, so that a stranger cannot choose colliding keys.
 */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include "base/str.h"

uint64_t siphash(const uint64_t key[2], struct str s);

#endif
