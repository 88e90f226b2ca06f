/*
 * Compiler attributes in plain words, and the macro for scope-bound cleanup. Every other
 * header may include this one. Nothing here has a body.
 */
#ifndef BASE_ATTRIBUTES_H
#define BASE_ATTRIBUTES_H

#include "base/banned.h"

/* The caller must look at the result: it tells whether the thing was done. */
#define MUST_USE                 __attribute__((warn_unused_result))
#define NORETURN                 __attribute__((noreturn))
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))
#define UNUSED                   __attribute__((unused))
#define NOINLINE                 __attribute__((noinline))
/* Where the compiler knows an argument, little of the function is left. */
#define ALWAYS_INLINE static inline __attribute__((always_inline))

/*
 * Frees a local when its scope ends: CLEANUP(buf_free) struct buf b = ...; The function
 * gets the address of the local. For pointers, DEFINE_CLEANUP makes the adapter:
 * DEFINE_CLEANUP(arena_free, struct arena *) gives arena_free_cleanup for
 * CLEANUP(arena_free_cleanup) struct arena *a = arena_new(...);
 */
#define CLEANUP(function) __attribute__((cleanup(function)))
#define DEFINE_CLEANUP(function, type)                            \
	static inline UNUSED void function##_cleanup(type *local) \
	{                                                         \
		function(*local);                                 \
	}

/* Memory is not kept for reuse, so that each wrong use of it is seen. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ADDRESS_SANITIZER
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define UNDER_ADDRESS_SANITIZER
#endif

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* The object that contains `member` at address `pointer`. */
#define CONTAINER_OF(pointer, type, member) \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
