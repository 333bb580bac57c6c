// Five calls of the Cloudinary SDK for Java, 1 or 2, as they are: only CLOUDINARY_URL names Tagstream.
//
// Run, in a folder with koala.jpg and landscape.jpg: java -cp 'lib/*' examples/move_from_cloudinary/Calls.java

import com.cloudinary.Cloudinary;
import com.cloudinary.utils.ObjectUtils;
import java.util.Map;
import org.cloudinary.json.JSONObject;

public class Calls {
    static void show(Map<?, ?> answer) {
        JSONObject told = new JSONObject();
        for (String name : new String[] {"public_id", "tags", "info"}) {
            told.put(name, answer.get(name));
        }
        System.out.println(told);
    }

    public static void main(String[] arguments) throws Exception {
        Cloudinary cloudinary = new Cloudinary();
        show(cloudinary.uploader().upload("koala.jpg", ObjectUtils.asMap("categorization", "imagga_tagging")));
        cloudinary.uploader().upload("landscape.jpg", ObjectUtils.asMap("public_id", "landscape"));
        show(cloudinary.api().update("landscape", ObjectUtils.asMap("categorization", "imagga_tagging")));
        show(cloudinary.uploader().upload("landscape.jpg",
            ObjectUtils.asMap("categorization", "imagga_tagging", "auto_tagging", "0.4")));
        show(cloudinary.api().update("landscape",
            ObjectUtils.asMap("categorization", "imagga_tagging", "auto_tagging", "0.4")));
        show(cloudinary.uploader().explicit("landscape",
            ObjectUtils.asMap("type", "upload", "categorization", "imagga_tagging", "auto_tagging", "0.4")));
    }
}
