/* Unpredictable numbers from the kernel (getrandom), buffered. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdint.h>
#include "base/attributes.h"

uint32_t random_u32(void);
uint32_t random_below(uint32_t bound); /* uniform; bound > 0 */
void random_bytes(void *out, size_t len);

#endif
