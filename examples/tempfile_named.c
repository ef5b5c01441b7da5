/* A temporary file in the working directory, with a prefix and a suffix of its own.
 *
 *	cc tempfile_named.c $(pkg-config --cflags --libs tempfile) */
#include <stdio.h>
#include <string.h>
#include <tempfile.h>

int main(void)
{
	TEMPFILE_AUTO struct tempfile *file = NULL;
	int r = tempfile_open(&file, .dir = ".", .prefix = "你好呀", .suffix = "我不好");

	if (r < 0) {
		fprintf(stderr, "cannot make a temporary file: %s\n", strerror(-r));
		return 1;
	}
	fprintf(tempfile_stream(file), "hello, world\n");
	printf("%s\n", tempfile_path(file));

	/* Closing by hand, and not at the end of the scope, tells whether everything was written.
	 */
	r = tempfile_close(&file);
	if (r < 0)
		fprintf(stderr, "cannot write the temporary file: %s\n", strerror(-r));
	return r < 0;
}
