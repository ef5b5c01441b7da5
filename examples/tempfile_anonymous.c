/* More data than should be in memory: written to a file without a name, and read back.
 *
 *	cc tempfile_anonymous.c $(pkg-config --cflags --libs tempfile)
 *	./a.out 1024                                                  (MiB) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tempfile.h>

enum {
	MIB = 1 << 20
};

static char buffer[MIB];

static int write_and_count(FILE *stream, unsigned long mib)
{
	unsigned long long count = 0;
	size_t size;

	memset(buffer, 'x', sizeof(buffer));
	for (unsigned long i = 0; i < mib; i++)
		if (fwrite(buffer, 1, sizeof(buffer), stream) != sizeof(buffer))
			return -1;
	rewind(stream);
	while ((size = fread(buffer, 1, sizeof(buffer), stream)) > 0)
		count += size;
	printf("read back %llu bytes\n", count);
	return count == mib * (unsigned long long)MIB ? 0 : -1;
}

int main(int argc, char **argv)
{
	unsigned long mib = argc > 1 ? strtoul(argv[1], NULL, 10) : 16;
	TEMPFILE_AUTO struct tempfile *file = NULL;
	int r = tempfile_open_anonymous(&file);

	if (r < 0) {
		fprintf(stderr, "cannot make a temporary file: %s\n", strerror(-r));
		return 1;
	}
	if (!tempfile_stream(file) || write_and_count(tempfile_stream(file), mib) < 0) {
		perror("cannot write the temporary file and read it back");
		return 1;
	}
	return 0;
}
