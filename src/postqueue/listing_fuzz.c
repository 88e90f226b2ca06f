/* What a showq that somebody else runs may say: bounded, and JSON is always closed. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/file.h"
#include "base/panic.h"
#include "postqueue/listing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int fd, listing_printer *printer)
{
	char *text = NULL;
	size_t len = 0;
	struct listing_reader reader;
	ENSURE(lseek(fd, 0, SEEK_SET) == 0);
	FILE *out = open_memstream(&text, &len);
	ENSURE(out != NULL);
	listing_reader_init(&reader, fd);
	int result = printer(&reader, out, false);
	listing_reader_free(&reader);
	ENSURE(fclose(out) == 0);
	if (printer == listing_print_json && result == 0)
		ENSURE(len == 0 || (len > 3 && memcmp(text + len - 3, "]}\n", 3) == 0));
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	ENSURE(fd >= 0 && file_write_all(fd, data, size) == 0);
	check(fd, listing_print);
	check(fd, listing_print_json);
	file_close(&fd);
	return 0;
}
