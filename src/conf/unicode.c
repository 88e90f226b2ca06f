#include "conf/unicode.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "base/panic.h"

#define LIBRARY "libicuuc.so." U_ICU_VERSION_SHORT

/* The functions' names are macros that put ICU's version behind them. */
#define TEXT(name)   #name
#define LINKED(name) TEXT(name)

static struct unicode library;

static void load(void)
{
	void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (handle == NULL)
		fatal("cannot load ICU: %s", dlerror());
#define LOAD(field, function)                                                      \
	void *field = dlsym(handle, LINKED(function));                             \
	if (field == NULL)                                                         \
		fatal("cannot load ICU: %s has no %s", LIBRARY, LINKED(function)); \
	memcpy(&library.field, &field, sizeof(field));
	UNICODE_FUNCTIONS(LOAD)
#undef LOAD
}

const struct unicode *unicode_library(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	(void)pthread_once(&once, load);
	return &library;
}
