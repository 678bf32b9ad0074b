import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.util.Properties;
import java.util.Random;
import java.util.TreeMap;

/**
 * Writes properties.golden: texts and what java.util.Properties makes of them. One case a line: the text, then the
 * keys and values in order, all as Go string literals; "malformed" in their place when Java refuses the text.
 *
 * Run: java PropertiesGolden.java > properties.golden
 */
public class PropertiesGolden {
    static final String[] WRITTEN = {
        "", "a=b", "a = b ", "a:b", "a b", "a\tb", "a", "a=", "=b", ":b", "a==b", "a := b", "a = = b", "a\\=b=c",
        "a\\ b = c", "# comment\na=1", "! comment\na=1", "  # comment\n  a=1", "a=1 # not a comment",
        "a=1\n\n\nb=2", "a=1\r\nb=2\rc=3", "a=1\\\n  2\\\n  3", "a=1\\\r\n  2", "a=1\\\\\nb=2", "a=1\\\\\\\nb=2",
        "a=\\\n", "a=\\", "a\\\n=1", "\\\na=1", "\\\n#a=1", "a=\\\n#b", "a=1\\\n\nb=2", "a=1\\\n   \nb=2",
        "a=\\t\\n\\r\\f\\q\\\\", "a=\\u0041\\u00e9\\u4e2d", "a=\\ud83d\\ude00", "a=\\ud83d", "a=\\u00", "a=\\u00g0", "a=\\uABCD",
        "a=caf\u00e9", "caf\u00e9=1", "\u00a0a=1", "a=1\na=2", "a=1\u0000", "\fa=1\f", "path=C:\\\\zk\\\\data", "path=C:\\zk\\data",
        "server.1=[::1]:2888:3888;2181", "server.1 [::1]:2888:3888;2181", "a=b=c:d e", "#\\\na=1", "# c \\\na=1", "#", "!", "\\", "\\\\", " ",
    };

    public static void main(String[] args) {
        for (String text : WRITTEN) {
            emit(text);
        }
        Random random = new Random(1);
        String alphabet = "aab  \t\f\r\n\n\\\\\\==::#!u0041\u00e9";
        for (int i = 0; i < 1500; i++) {
            StringBuilder b = new StringBuilder();
            int length = 1 + random.nextInt(24);
            for (int j = 0; j < length; j++) {
                b.append(alphabet.charAt(random.nextInt(alphabet.length())));
            }
            emit(b.toString());
        }
    }

    static void emit(String text) {
        StringBuilder out = new StringBuilder(quote(text));
        Properties p = new Properties();
        try {
            p.load(new ByteArrayInputStream(text.getBytes(StandardCharsets.ISO_8859_1)));
            for (var e : new TreeMap<>(p).entrySet()) {
                out.append(' ').append(quote((String) e.getKey())).append(' ').append(quote((String) e.getValue()));
            }
        } catch (IllegalArgumentException e) {
            out.append(" malformed");
        } catch (java.io.IOException e) {
            throw new RuntimeException(e);
        }
        System.out.println(out);
    }

    static String quote(String s) {
        StringBuilder b = new StringBuilder("\"");
        for (int i = 0; i < s.length(); ) {
            int c = s.codePointAt(i);
            i += Character.charCount(c);
            if (c == '"' || c == '\\') {
                b.append('\\').append((char) c);
            } else if (c >= ' ' && c < 127) {
                b.append((char) c);
            } else if (c >= 0xd800 && c <= 0xdfff) {
                b.append("\\ufffd");
            } else {
                b.append(String.format("\\U%08x", c));
            }
        }
        return b.append('"').toString();
    }
}
