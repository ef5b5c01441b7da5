/* The first five bytes of a file, changed through memory and read back through the file: Python's
 * mmap.mmap(file.fileno(), 5).
 *
 *	cc tempfile_map.c $(pkg-config --cflags --libs tempfile) */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <tempfile.h>

int main(void)
{
	TEMPFILE_AUTO struct tempfile *file = NULL;
	char text[32] = "";
	void *memory;
	int r = tempfile_open_anonymous(&file);

	if (r == 0 && fputs("hello, world", tempfile_stream(file)) >= 0)
		r = tempfile_map(file, 5, &memory);
	if (r < 0) {
		fprintf(stderr, "cannot map a temporary file: %s\n", strerror(-r));
		return 1;
	}
	memcpy(memory, "HELLO", 5);
	munmap(memory, 5);
	rewind(tempfile_stream(file));
	if (!fgets(text, sizeof(text), tempfile_stream(file)))
		return 1;
	printf("%s\n", text);
	return strcmp(text, "HELLO, world") != 0;
}
