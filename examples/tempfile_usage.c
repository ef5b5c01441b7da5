/* Disk usage before a temporary file, with it, and after: its space is given back when it is
 *closed.
 *
 *	cc tempfile_usage.c $(pkg-config --cflags --libs tempfile)
 *	./a.out 1024                                                  (MiB) */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tempfile.h>

static void print_usage(const char *when)
{
	struct tempfile_usage usage;
	int r = tempfile_disk_usage(tempfile_gettempdir(), &usage);

	if (r < 0)
		fprintf(stderr, "%s: %s\n", tempfile_gettempdir(), strerror(-r));
	else
		printf("%-6s total %" PRIu64 ", used %" PRIu64 ", free %" PRIu64 "\n", when,
		       usage.total, usage.used, usage.free);
}

int main(int argc, char **argv)
{
	off_t mib = argc > 1 ? (off_t)strtoul(argv[1], NULL, 10) : 16;
	TEMPFILE_AUTO struct tempfile *file = NULL;
	int r;

	if (!tempfile_gettempdir()) {
		perror("no directory for temporary files");
		return 1;
	}
	printf("directory %s, prefix %s\n", tempfile_gettempdir(), tempfile_gettempprefix());
	print_usage("before");
	r = tempfile_open(&file);
	if (r == 0)
		r = -posix_fallocate(tempfile_fd(file), 0, mib << 20);
	if (r < 0) {
		fprintf(stderr, "cannot make a file of that size: %s\n", strerror(-r));
		return 1;
	}
	print_usage("with");
	r = tempfile_close(&file);
	print_usage("after");
	return r < 0;
}
