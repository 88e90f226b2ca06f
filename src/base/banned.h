/*
 * Functions that must not be used here become compile errors: they trust the length of a
 * string that came from elsewhere, keep hidden state, or run a shell.
 */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Under clang, hardened libc headers define some as macros. */
#undef strcpy
#undef strcat
#undef strncpy
#undef sprintf
#undef vsprintf

#pragma GCC poison strcpy strcat sprintf vsprintf strtok strncpy gets localtime gmtime \
    system popen

#endif
