/* Feeds each file of a corpus directory to a fuzz target once: corpora as regression
 * tests. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t input[1 << 20];

static void replay(const char *directory, const char *name)
{
	char path[4096];
	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	FILE *file = fopen(path, "rbe");
	if (file == NULL) {
		perror(path);
		exit(1);
	}
	size_t len = fread(input, 1, sizeof(input), file);
	(void)fclose(file);
	/* A heap copy of the exact size lets ASan see one byte too many. */
	uint8_t *copy = malloc(len > 0 ? len : 1);
	if (copy == NULL)
		abort();
	memcpy(copy, input, len);
	(void)LLVMFuzzerTestOneInput(copy, len);
	free(copy);
}

int main(int argc, char **argv)
{
	unsigned inputs = 0;
	for (int i = 1; i < argc; i++) {
		DIR *directory = opendir(argv[i]);
		if (directory == NULL) {
			perror(argv[i]);
			return 1;
		}
		struct dirent *entry;
		while ((entry = readdir(directory)) != NULL) {
			if (entry->d_name[0] == '.')
				continue;
			replay(argv[i], entry->d_name);
			inputs++;
		}
		(void)closedir(directory);
	}
	printf("%u inputs replayed\n", inputs);
	return inputs == 0;
}
